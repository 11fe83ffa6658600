// Lemons, a pear, a glass of water and a bottle on an oak table beside a window.
#version 3.7;
global_settings {
  assumed_gamma 1.0 max_trace_level 8
  radiosity { pretrace_start 0.08 pretrace_end 0.02 count 40 nearest_count 6 error_bound 0.9 recursion_limit 1 low_error_factor 0.7 minimum_reuse 0.02 gray_threshold 0.2 }
}
#include "functions.inc"
#include "woods.inc"

camera {
  location <0.4, 5.4, -15.5> look_at <0.35, 2.35, 0> angle 40 right x*1.5 up y
}

// The window: a bright rectangle left of and behind the table, seen in every highlight.
#declare Pane = union {
  #local I = 0;
  #while (I < 2) #local J = 0; #while (J < 3)
    box { <0.12, 0.12+J*3.4, 0.12+I*3.4> <0.13, 3.28+J*3.4, 3.28+I*3.4> } #local J = J+1; #end
  #local I = I+1; #end
  pigment { rgb 1 } finish { ambient 0 diffuse 0 emission <2.6,2.9,3.3> } no_shadow
}
object { Pane translate <-16, 1.5, -3> }
light_source { <-15.6, 7, 0.5> color rgb <1.0,0.97,0.92>*1.75 area_light z*7, y*10, 3, 3 adaptive 0 jitter }

box { <-16.2,-12,-40> <-16.1,26,40> pigment { rgb <0.75,0.74,0.71> } finish { diffuse 0.7 ambient 0 } }
box { <26,-12,-40> <26.1,26,40> pigment { rgb <0.72,0.66,0.58> } finish { diffuse 0.7 ambient 0 } }
box { <-16.2,22,-40> <26,22.1,40> pigment { rgb <0.82,0.81,0.78> } finish { diffuse 0.7 ambient 0 } }
// Back wall: old plaster.
plane { -z, -13
  texture {
    pigment { granite scale 9 color_map { [0 rgb <0.30,0.335,0.32>] [0.5 rgb <0.40,0.43,0.41>] [1 rgb <0.50,0.52,0.49>] } }
    normal { granite 0.12 scale 5 }
    finish { diffuse 0.75 ambient 0 }
  }
  texture {
    pigment { bozo turbulence 0.9 octaves 6 scale 3.2 color_map { [0.3 rgbt <1,1,1,1>] [0.8 rgbt <0.62,0.58,0.50,0.62>] } }
    finish { diffuse 0.75 ambient 0 }
  }
}

// The table: five oak boards with rounded edges.
#declare Grain = pigment {
  wood turbulence <0.06,0.06,0.5> octaves 4 omega 0.5 scale <0.55,0.55,9> rotate 90*y
  color_map { [0.0 rgb <0.42,0.255,0.135>] [0.55 rgb <0.335,0.19,0.095>] [0.85 rgb <0.22,0.12,0.06>] [1.0 rgb <0.40,0.24,0.13>] }
}
#declare Pores = pigment {
  granite scale <1.6,0.05,0.07> color_map { [0.0 rgbt <0.06,0.03,0.015,0.25>] [0.30 rgbt <0.15,0.08,0.04,0.85>] [0.5 rgbt <1,1,1,1>] }
}
#declare R = seed(44);
#local I = 0;
#while (I < 7)
  union {
    box { <-20, -1, 0.05> <20, -0.06, 2.45> }
    box { <-20, -1, 0.11> <20, 0, 2.39> }
    cylinder { <-20,-0.06,0.11> <20,-0.06,0.11> 0.06 }
    cylinder { <-20,-0.06,2.39> <20,-0.06,2.39> 0.06 }
    #local Shift = <rand(R)*60, rand(R)*2-1, rand(R)*3+0.8>;
    texture { pigment { Grain translate Shift } normal { granite 0.05 scale <2,0.05,0.08> } finish { diffuse 0.72*(0.85+0.3*rand(R)) ambient 0 specular 0.12 roughness 0.05 reflection { 0.0, 0.16 fresnel } } }
    texture { pigment { Pores translate Shift } finish { diffuse 0.6 ambient 0 } }
    interior { ior 1.42 }
    translate <0, 0, -8.4+I*2.5>
  }
  #local I = I+1;
#end

#include "table_shapes.inc"

#declare Peel = texture {
  pigment { bozo turbulence 0.5 scale 0.5 color_map { [0.2 rgb <0.86,0.62,0.035>] [0.8 rgb <0.92,0.70,0.07>] } }
  normal { crackle 0.22 form <-1,1,0> scale 0.055 turbulence 0.2 }
  finish { diffuse 0.72 ambient 0 specular 0.28 roughness 0.022 reflection { 0, 0.20 fresnel } }
}
#declare PearSkin = texture {
  pigment { gradient x turbulence 0.35 scale 3.4 translate <-1.7,0,0>
    color_map { [0.0 rgb <0.36,0.40,0.07>] [0.45 rgb <0.56,0.50,0.11>] [0.75 rgb <0.58,0.33,0.10>] [1 rgb <0.50,0.17,0.07>] } }
  finish { diffuse 0.72 ambient 0 specular 0.22 roughness 0.018 reflection { 0, 0.22 fresnel } }
}
#declare Freckles = texture {
  pigment { crackle form <1,0,0> scale 0.10 turbulence 0.15 color_map { [0.0 rgbt <0.22,0.13,0.04,0.2>] [0.16 rgbt <0.28,0.17,0.06,0.55>] [0.24 rgbt <1,1,1,1>] } }
  finish { diffuse 0.7 ambient 0 }
}
#declare Skin = interior { ior 1.4 }

object { Lemon0 rotate 90*z scale 0.98 rotate <20,-24,0> texture { Peel } interior { Skin } translate <-0.55, 0.98, -3.0> }
object { Lemon1 rotate 90*z scale 0.94 rotate <0,48,6> texture { Peel translate 7 } interior { Skin } translate <2.0, 0.96, -1.5> }
#macro Stem(H) union {
    #local P = array[6] { <0,H-0.45,0>, <0,H-0.1,0>, <0.03,H+0.15,0.01>, <0.09,H+0.4,0.03>, <0.19,H+0.62,0.05>, <0.24,H+0.74,0.05> }
    #local W = array[6] { 0.08, 0.07, 0.055, 0.052, 0.06, 0.075 }
    #for (K, 0, 4) sphere { P[K], W[K] } cone { P[K], W[K], P[K+1], W[K+1] } #end
    pigment { granite scale 0.2 color_map { [0 rgb <0.09,0.05,0.02>] [1 rgb <0.26,0.17,0.09>] } } normal { granite 0.5 scale 0.1 } finish { diffuse 0.7 ambient 0 }
  } #end
union { object { Pear texture { PearSkin } texture { Freckles } interior { Skin } } object { Stem(1.50) } scale 1.12 rotate <-4,35,5> translate <-2.75, 1.115, -0.6> }

// Glass of water with its real interfaces: glass, then water inside.
#declare GlassMat = material { texture { pigment { rgbf <0.98,0.99,0.985,1> } finish { ambient 0 diffuse 0 specular 0.6 roughness 0.002 reflection { 0.02, 1 fresnel } conserve_energy } } interior { ior 1.5 fade_color <0.7,0.85,0.8> fade_distance 6 fade_power 1001 } }
#declare WaterMat = material { texture { pigment { rgbf <0.985,0.995,1,1> } finish { ambient 0 diffuse 0 specular 0.4 roughness 0.002 reflection { 0.02, 1 fresnel } conserve_energy } } interior { ior 1.33 } }
#declare Tumbler = union {
  difference {
    cone { <0,0.0,0> 1.02 <0,4.1,0> 1.28 }
    cone { <0,0.34,0> 0.93 <0,4.11,0> 1.205 }
    material { GlassMat }
  }
  torus { 1.2425, 0.0375 translate 4.1*y material { GlassMat } }
  cone { <0,0.345,0> 0.928 <0,2.75,0> 1.1 material { WaterMat } }
}
object { Tumbler translate <3.2, 0.002, 1.1> }

// A green bottle.
object { BottleShape scale 0.96
  material { texture { pigment { rgbf <0.75,0.95,0.72,1> } finish { ambient 0 diffuse 0 specular 0.7 roughness 0.003 reflection { 0.02, 1 fresnel } conserve_energy } }
    interior { ior 1.5 fade_color <0.03,0.24,0.09> fade_distance 0.18 fade_power 1001 } }
  translate <0.3, 0.002, 3.0> }

// A white stoneware bowl with blue rim, holding one lemon.
union {
  object { BowlShape }
  texture { pigment { gradient y scale 1.8 turbulence 0.015 color_map { [0.0 rgb <0.80,0.77,0.70>] [0.90 rgb <0.82,0.80,0.74>] [0.925 rgb <0.12,0.20,0.36>] [1.0 rgb <0.14,0.22,0.38>] } }
    normal { bumps 0.06 scale 0.25 } finish { diffuse 0.75 ambient 0 specular 0.4 roughness 0.008 reflection { 0.01, 0.4 fresnel } } }
  texture { pigment { crackle form <1,0,0> scale 0.16 turbulence 0.3 color_map { [0 rgbt <0.20,0.14,0.09,0.25>] [0.07 rgbt <0.3,0.2,0.12,0.7>] [0.10 rgbt <1,1,1,1>] } } finish { diffuse 0.7 ambient 0 } }
  interior { ior 1.5 }
  translate <5.6, 0, -1.1>
}
object { Lemon2 rotate 90*z scale 0.9 rotate <0,-35,14> texture { Peel translate 3 } interior { Skin } translate <5.45, 1.42, -1.0> }
